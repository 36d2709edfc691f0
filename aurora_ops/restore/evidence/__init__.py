"""What a restore page leaves for an auditor: what was proved, how it was asked, by whom, and signed."""
