"""What a mini-program asks of the service, as JSON: sign-in, verification, own history, recall watches, reports."""
