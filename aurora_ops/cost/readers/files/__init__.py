"""Files of capacity as people have them: what CloudWatch's console, the AWS CLI, Grafana, Prometheus and spreadsheets write."""
