"""The restore drill: a copy to a point in time, its proof, its end."""
