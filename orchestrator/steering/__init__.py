"""Who steers a site's battery, and what that lets the site's agent offer: see `steering`."""
