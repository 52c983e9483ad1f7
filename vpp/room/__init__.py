"""The control room: how the sites stand, what they were told and by whom, what they answered.

link (vpp.link.room) ──► Room ──► store: states, minutes, instructions, trail
                          ▲
                          └── calls, commands, plans: `Room.send`
"""
