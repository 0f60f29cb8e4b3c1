"""AWS: the CloudFormation template of a deployment, and the stack that is made from it."""
