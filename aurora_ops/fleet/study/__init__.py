"""What a fleet's runs say together: gathered from a folder or as it was recorded, drawn, and put into words."""
