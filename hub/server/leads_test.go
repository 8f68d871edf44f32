package server

// Leads reports whether this hub does what one of those that share a database has to do.
func (s *Server) Leads() bool { return s.leads.Load() }
