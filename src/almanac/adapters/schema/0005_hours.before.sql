-- Events counted by the hour in which they happened, no longer by that of their receipt: what trends of plain counts read. Reckoned anew from the events.

TRUNCATE TABLE events_per_hour ${on_cluster};

INSERT INTO events_per_hour (project, event, hour, count)
SELECT project, event, toStartOfHour(time), count()
FROM events
GROUP BY ALL;
