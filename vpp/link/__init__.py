"""The link between a control room and its sites: MQTT 5 over TLS, commands signed by the room.

Both ends are here. A site's needs no more than the extra `site`. `docs/link.md` has the protocol.
"""
