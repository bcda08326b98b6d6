"""From the feature vector to one calibrated anomaly score: what lies on disk, how it is read safely, how it scores."""
