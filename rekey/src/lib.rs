//! The gateway-side module: takes findings about keys, plans their replacement, carries it out on the systems that verify them, and closes a finding only
//! when the wire shows the new key in use and the old one gone.
