"""Where history, usage and prices come from: CloudWatch, files, the Price List API."""
