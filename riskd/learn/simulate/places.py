"""Countries and cities: plain geography, and how many of the logins come from where.

The shares of the large countries are those of the first successful logins of the RBA data set, the small ones share the
rest; round-trip times are its medians where published.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class City:
    """A place with a clock."""

    name: str
    country: str
    latitude: float
    longitude: float
    zone: str


Cities = tuple[tuple[str, float, float, str], ...]
_OSLO, _WARSAW = "Europe/Oslo", "Europe/Warsaw"
"""Name, latitude, longitude, time zone."""
Row = tuple[str, float, str, str, float, float, Cities]
"""Code, share of logins, languages, currency, units of it that buy what a euro buys, median RTT in ms, cities."""
COUNTRIES: tuple[Row, ...] = (
    (
        "NO",
        0.706,
        "nb-NO,nb;q=0.9,en;q=0.7",
        "NOK",
        11.5,
        580.0,
        (
            ("Oslo", 59.91, 10.75, _OSLO),
            ("Bergen", 60.39, 5.32, _OSLO),
            ("Trondheim", 63.43, 10.39, _OSLO),
            ("Stavanger", 58.97, 5.73, _OSLO),
            ("Tromsø", 69.65, 18.96, _OSLO),
            ("Kristiansand", 58.15, 8.0, _OSLO),
        ),
    ),
    (
        "US",
        0.091,
        "en-US,en;q=0.9",
        "USD",
        1.1,
        1400.0,
        (
            ("New York", 40.71, -74.01, "America/New_York"),
            ("Chicago", 41.88, -87.63, "America/Chicago"),
            ("Houston", 29.76, -95.37, "America/Chicago"),
            ("Denver", 39.74, -104.99, "America/Denver"),
            ("Los Angeles", 34.05, -118.24, "America/Los_Angeles"),
            ("Atlanta", 33.75, -84.39, "America/New_York"),
        ),
    ),
    (
        "PL",
        0.050,
        "pl-PL,pl;q=0.9,en;q=0.6",
        "PLN",
        4.3,
        760.0,
        (("Warsaw", 52.23, 21.01, _WARSAW), ("Kraków", 50.06, 19.94, _WARSAW), ("Gdańsk", 54.35, 18.65, _WARSAW)),
    ),
    (
        "BR",
        0.039,
        "pt-BR,pt;q=0.9",
        "BRL",
        6.0,
        1700.0,
        (
            ("São Paulo", -23.55, -46.63, "America/Sao_Paulo"),
            ("Rio de Janeiro", -22.91, -43.17, "America/Sao_Paulo"),
            ("Recife", -8.05, -34.88, "America/Recife"),
        ),
    ),
    (
        "DE",
        0.021,
        "de-DE,de;q=0.9,en;q=0.7",
        "EUR",
        1.0,
        2800.0,
        (
            ("Berlin", 52.52, 13.4, "Europe/Berlin"),
            ("Hamburg", 53.55, 9.99, "Europe/Berlin"),
            ("Munich", 48.14, 11.58, "Europe/Berlin"),
        ),
    ),
    (
        "SE",
        0.018,
        "sv-SE,sv;q=0.9,en;q=0.7",
        "SEK",
        11.3,
        640.0,
        (("Stockholm", 59.33, 18.07, "Europe/Stockholm"), ("Gothenburg", 57.71, 11.97, "Europe/Stockholm")),
    ),
    (
        "DK",
        0.012,
        "da-DK,da;q=0.9,en;q=0.7",
        "DKK",
        7.5,
        650.0,
        (("Copenhagen", 55.68, 12.57, "Europe/Copenhagen"), ("Aarhus", 56.16, 10.2, "Europe/Copenhagen")),
    ),
    (
        "IN",
        0.010,
        "en-IN,hi;q=0.8",
        "INR",
        95.0,
        1900.0,
        (("Mumbai", 19.08, 72.88, "Asia/Kolkata"), ("Delhi", 28.61, 77.21, "Asia/Kolkata")),
    ),
    (
        "GB",
        0.010,
        "en-GB,en;q=0.9",
        "GBP",
        0.86,
        900.0,
        (("London", 51.51, -0.13, "Europe/London"), ("Manchester", 53.48, -2.24, "Europe/London")),
    ),
    ("UA", 0.009, "uk-UA,uk;q=0.9", "UAH", 46.0, 1100.0, (("Kyiv", 50.45, 30.52, "Europe/Kyiv"),)),
    ("ID", 0.009, "id-ID,id;q=0.9", "IDR", 18_000.0, 2100.0, (("Jakarta", -6.21, 106.85, "Asia/Jakarta"),)),
    ("FI", 0.007, "fi-FI,fi;q=0.9,en;q=0.7", "EUR", 1.0, 700.0, (("Helsinki", 60.17, 24.94, "Europe/Helsinki"),)),
    (
        "ES",
        0.006,
        "es-ES,es;q=0.9",
        "EUR",
        1.0,
        1200.0,
        (("Madrid", 40.42, -3.7, "Europe/Madrid"), ("Málaga", 36.72, -4.42, "Europe/Madrid")),
    ),
    ("NL", 0.005, "nl-NL,nl;q=0.9,en;q=0.8", "EUR", 1.0, 900.0, (("Amsterdam", 52.37, 4.9, "Europe/Amsterdam"),)),
    ("FR", 0.003, "fr-FR,fr;q=0.9", "EUR", 1.0, 1100.0, (("Paris", 48.86, 2.35, "Europe/Paris"),)),
    ("PT", 0.002, "pt-PT,pt;q=0.9", "EUR", 1.0, 1300.0, (("Lisbon", 38.72, -9.14, "Europe/Lisbon"),)),
    ("TH", 0.002, "th-TH,th;q=0.9", "THB", 38.0, 2300.0, (("Bangkok", 13.76, 100.5, "Asia/Bangkok"),)),
)
