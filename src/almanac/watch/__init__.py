"""What runs by itself: alerts, reports, jobs."""
