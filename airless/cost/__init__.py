"""What running in a cloud costs: dated prices, and what was asked of the cloud."""
