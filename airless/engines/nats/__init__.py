"""The engine on NATS JetStream. The URL ``nats://HOST`` names it; nothing else imports it."""
