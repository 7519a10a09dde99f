//! The control centre: intake, read models, live wall and the people's site.
