"""The core: messages, the ports that engines fill, and the invocation that turns a batch into one commit."""
