"""The website's pages and the JSON API: one folder, two adapters on the same contract."""
