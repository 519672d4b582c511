"""The description of the JSON API and the page that shows it."""
