"""All that is known of one attempt, gathered once, frozen.

Facts hold no raw identifier: subject, session, device, recipient, IP and network keys are tokens or keyed hashes
(unless the policy says to keep a field plain), so the facts are the very thing that is recorded, and a record can be
judged again. `None` is *unknown* everywhere. Ages are seconds before `time`; never negative.

The groups that come from the store are array-like: their field order is the order in which the store's script answers.
"""

from datetime import datetime

from msgspec import Struct, field

AttributeValue = str | bool | int | float


class SubjectFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who attempts, and what the session proves."""

    token: str | None = None
    """Random token of the subject; None for an anonymous attempt and while the store is down."""
    type: str = "user"
    session: str | None = None
    """Keyed hash of the session id."""
    account_age_days: float | None = None
    email_disposable: bool | None = None
    """The e-mail domain is on the list of disposable ones; None without a domain or without the list."""
    acr: str | None = None
    amr: tuple[str, ...] | None = None
    auth_age_s: float | None = None
    """Seconds since the subject last actively authenticated; None when not said or when said to be in the future."""
    enrolled_factors: tuple[str, ...] | None = None
    leaked_credential: bool | None = None
    """The password used is in a breach corpus, by the caller's word or else by the policy's hash set."""


class ActionFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is attempted, and on what."""

    name: str
    amount: float | None = None
    currency: str | None = None
    recipient: str | None = None
    """Keyed hash of the recipient."""
    resource_type: str | None = None
    resource_id: str | None = None
    """Keyed hash of the resource id."""
    method: str | None = None
    path: str | None = None
    """Normalised path of the endpoint, without query."""
    path_obfuscated: bool | None = None
    """The raw path differs from its normalised form in a way no honest client writes it."""


class NetworkFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The address and the network it belongs to."""

    ip: str | None = None
    """The address as the policy lets it be kept: keyed hash (default), truncated or plain."""
    key: str | None = None
    """What stands for the network: `AS<number>`, or a keyed hash of the prefix (/24, /48) where no ASN is known."""
    asn: int | None = None
    organization: str | None = None
    version: int | None = None
    """4 or 6."""
    private: bool | None = None
    """Private, loopback or otherwise not globally routed: it has no place and no network."""
    kind: str | None = None
    """residential, mobile, business, education, hosting, vpn, proxy, tor or relay; None when no source says."""
    tor: bool | None = None
    proxy: bool | None = None
    """A commercial VPN or open proxy."""
    hosting: bool | None = None
    relay: bool | None = None
    """A privacy relay that keeps the country (iCloud Private Relay)."""
    mobile: bool | None = None
    """A mobile carrier's gateway, whose place says little."""
    listed: tuple[str, ...] | None = None
    """Names of the deny lists that hold this address; empty when none does, None without any list."""
    denied: bool | None = None
    """The address, prefix or ASN is denied by the policy; None when nothing of it is known."""


class PlaceFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the attempt comes from."""

    country: str | None = None
    """ISO 3166-1 alpha-2."""
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_km: float | None = None
    """Radius around the coordinates that holds the true place."""
    utc_offset_min_minutes: int | None = None
    utc_offset_max_minutes: int | None = None
    """The offsets from UTC in use around the place, summer and winter."""


class DeviceFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it is attempted with."""

    id: str | None = None
    """Keyed hash of the device id."""
    digest: str | None = None
    """Keyed hash of the device payload digest."""
    user_agent_present: bool | None = None
    """False when an empty user agent was sent; None when none was."""
    user_agent_parsed: bool | None = None
    """The parser knows the browser family; None without a user agent."""
    bot: bool | None = None
    """Crawler, headless browser or scripted HTTP client; None without a user agent."""
    kind: str | None = None
    """mobile, tablet, desktop or other."""
    os_family: str | None = None
    os_major: int | None = None
    browser_family: str | None = None
    browser_major: int | None = None
    family: str | None = None
    """`os_family|browser_family`, the device's version-free fingerprint."""
    hint_os_family: str | None = None
    """What the client hints say the OS is."""
    hint_browser_family: str | None = None
    hint_mobile: bool | None = None
    platform_os_family: str | None = None
    """What the client's own platform word says the OS is."""
    screen_width: int | None = None
    screen_height: int | None = None
    language: str | None = None
    """First language tag of Accept-Language, primary subtag (`en`)."""
    utc_offset_minutes: int | None = None
    rtt_ms: float | None = None
    model: str | None = None
    """Model of the device by the user agent: a word of at most 24 characters with at most 8 digits."""

    @property
    def client(self) -> str | None:
        """What the client looks like at any version: family, kind and model; None where it does not say enough."""
        if self.family is None or self.kind is None:
            return None
        return f"{self.family}|{self.kind}|{self.model or ''}"


class ListFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the policy's named lists say of the attempt."""

    denied: tuple[str, ...] | None = ()
    """Names of the deny lists that name it; None when none does but one could not tell, for want of what it is of."""
    allowed: tuple[str, ...] = ()
    """Names of the allow lists that name it."""


NOT_LISTED = ListFacts()
"""No list names the attempt; records leave it out."""


class KnownPlace(Struct, frozen=True, array_like=True):
    """A place of a confirmed success."""

    latitude: float | None
    longitude: float | None
    accuracy_km: float | None
    country: str | None
    age_s: float
    vague: bool
    """The address was a VPN, proxy, relay, Tor exit or mobile gateway: its place says little."""
    ip: str | None


class LiveSession(Struct, frozen=True, array_like=True):
    """Another session of the subject that was seen within the session window."""

    latitude: float | None
    longitude: float | None
    accuracy_km: float | None
    country: str | None
    seen_age_s: float
    started_age_s: float
    vague: bool


class SubjectHistory(Struct, frozen=True, array_like=True):
    """What the store knows of the subject: confirmed habits, then recent attempts (this one counted)."""

    token: str
    confirmed: int
    """Confirmed successes so far."""
    first_confirmed_age_s: float | None
    last_confirmed_age_s: float | None
    # How long ago each presented thing was last part of a confirmed success; None: never, or not presented.
    device_age_s: float | None
    device_family: str | None
    """The family that was last confirmed on the presented device id."""
    family_age_s: float | None
    ip_age_s: float | None
    network_age_s: float | None
    country_age_s: float | None
    language_age_s: float | None
    recipient_age_s: float | None
    # How many of each kind are known: zero means that novelty says nothing.
    known_devices: int
    known_families: int
    known_ips: int
    known_networks: int
    known_countries: int
    known_languages: int
    known_recipients: int
    # How many confirmed successes the presented value had.
    family_count: int
    network_count: int
    country_count: int
    hour_sin: float
    """Sum over confirmed successes of sin(2π · hour of day / 24), UTC."""
    hour_cos: float
    hour_count: int
    rtt_mean_log_ms: float | None
    """Mean of ln(rtt_ms) over confirmed successes in the present country."""
    rtt_sd_log_ms: float | None
    rtt_count: int
    amount_median: float | None
    """Over the last 100 confirmed amounts in the present currency."""
    amount_p99: float | None
    amount_count: int
    places: tuple[KnownPlace, ...]
    """Up to 5 latest distinct places of confirmed successes, latest first."""
    attempts_5m: int
    attempts_1h: int
    attempts_24h: int
    ips_5m: int
    ips_1h: int
    ips_24h: int
    failures_10m: int
    failures_1h: int
    failure_ips_1h: int
    """Distinct addresses among the failures of the last hour."""
    success_after_failures_age_s: float | None
    """Since a success that came straight after a burst of failures."""
    sensitive_10m: int
    amount_24h: float
    """Sum of attempted amounts in the present currency, this one included."""
    contact_change_age_s: float | None
    password_change_age_s: float | None
    factor_change_age_s: float | None
    recipient_added_age_s: float | None
    session_age_s: float | None
    """Since this session was first seen; None for a new session or none given."""
    session_hop_age_s: float | None
    """Since this session changed country, device or network too fast; 0 when it is happening now."""
    sessions: tuple[LiveSession, ...]
    """Up to 8 other live sessions."""
    reported_age_s: float | None
    """Since the subject reported an attempt as not theirs, or fraud was confirmed."""
    replayed_age_s: float | None
    """Since an attempt of this subject replayed a device payload from elsewhere; 0 when it is happening now."""
    device_known_age_s: float | None = None
    """Since the presented device first became known; None when it is not."""
    confirmed_safe_age_s: float | None = None
    """Since the report that `reported_age_s` dates, and with it all earlier ones, was confirmed to be a mistake: the
    reported attempt itself, or one made since, was confirmed legitimate. None when it was not, when a later report
    came, and when fresh evidence has answered the report."""
    ip_count: int = 0
    """Confirmed successes from the presented address."""
    known_clients: int = 0
    """How many clients are known; 0 also where none was kept yet, of habits that an earlier version has kept."""
    client_age_s: float | None = None
    """Since the presented client, `DeviceFacts.client`, was last part of a confirmed success."""
    client_count: int = 0
    client_major: int | None = None
    """Newest browser major that was confirmed with it."""
    os_count: int = 0
    """Confirmed successes with the presented operating system."""
    kind_count: int = 0
    """Confirmed successes with the presented kind of device."""


class AddressCounts(Struct, frozen=True, array_like=True):
    """What the store counts on the IP address, over all subjects (this attempt counted). Counts stop at 256."""

    subjects_5m: int
    subjects_1h: int
    subjects_24h: int
    failures_1h: int
    failed_subjects_1h: int
    confirmed_subjects: int
    """Distinct subjects with a confirmed success here in 30 days: an office exit has many."""


class NetworkCounts(Struct, frozen=True, array_like=True):
    """What the store counts on the network, over all subjects. Counts stop at 256."""

    failures_1h: int
    failed_subjects_1h: int
    confirmed_subjects: int


class DeviceCounts(Struct, frozen=True, array_like=True):
    """What the store counts on the device id, over all subjects (this attempt counted). Counts stop at 256."""

    subjects_1h: int
    subjects_24h: int
    subjects_30d: int


class PayloadSeen(Struct, frozen=True, array_like=True):
    """Whether the device payload digest was seen before."""

    age_s: float | None
    """Since it was first seen; None when this is the first time."""
    elsewhere: bool
    """It was first seen from another address or for another subject."""


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of one attempt."""

    time: datetime
    """When the attempt happened, aware UTC."""
    subject: SubjectFacts
    action: ActionFacts
    network: NetworkFacts = field(default_factory=NetworkFacts)
    place: PlaceFacts = field(default_factory=PlaceFacts)
    device: DeviceFacts = field(default_factory=DeviceFacts)
    lists: ListFacts = NOT_LISTED
    exempt: dict[str, str] = {}
    """Codes of the signals that the subject is exempt from just now, each with the exemption's id."""
    history: SubjectHistory | None = None
    """None for an anonymous subject and while the store is down."""
    address_counts: AddressCounts | None = None
    network_counts: NetworkCounts | None = None
    device_counts: DeviceCounts | None = None
    payload: PayloadSeen | None = None
    velocities: dict[str, float | None] = {}
    """What the policy's velocities counted, this attempt included, by name and id (`payouts_1h:3f9a1c22`); None where
    the attempt does not present what the velocity is per. What was not counted at all has no entry."""
    attributes: dict[str, AttributeValue] = {}
    tripped: tuple[str, ...] = ()
    """Codes of the policy's own signals whose breaker had tripped: they step up at most."""
    down: tuple[str, ...] = ()
    """Sources that were down or late: `store`, `store_history_lost`, `geo`, `network`, `user_agent`, `lists`,
    `leaked_credentials`."""
