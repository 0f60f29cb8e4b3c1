"""The engine on Redis or Valkey: a server of one's own, with transactions over queue, state and objects."""
