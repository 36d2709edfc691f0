"""Why a client cannot connect: looked at from the client's side, in the order in which a connection is made."""
