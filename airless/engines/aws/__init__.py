"""AWS: queues on SQS, state and objects on S3."""
