package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/enrol"
	"otor/internal/webui"
	"otor/internal/wire"
)

// openHTTP listens for browsers, programs and devices that enrol, on one port.
func (s *Server) openHTTP(ctx context.Context) error {
	ca, _ := s.broker.CA()
	_, epoch := s.epochs.Certificate()
	enrolment := enrol.NewHandler(enrol.Config{
		Store: registry{s.store, s.ledger}, Issuer: s.broker, NatsURLs: s.broker.URLs(), CA: ca,
		HubKey: s.broker.HubKey().Public(), Epoch: epoch, Log: s.cfg.Log, Now: s.cfg.Now,
	})
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("listen for the console on %s: %w; choose another address with --http", s.cfg.HTTP, err)
	}
	s.listen = newEitherListener(ln, s.broker.TLSCertificate())
	s.closers = append(s.closers, s.listen.Close)
	site, acts := s.site()
	mux := http.NewServeMux()
	mux.Handle(wire.EnrolPath, overTLS(enrolment))
	mux.Handle("GET "+wire.WherePath, overTLS(http.HandlerFunc(enrolment.Where)))
	s.health(mux)
	s.openWatch()
	guard := &webui.Guard{Behind: true, Hosts: s.cfg.Hosts, Log: s.cfg.Log, Pages: site.Pages}
	if s.cfg.OwnerEnters {
		guard.Secret = s.secret
	}
	g := &gate{desk: s.operators, token: s.token, guard: guard, pages: site.Pages, log: s.cfg.Log}
	s.metrics(mux, guard, g)
	mux.HandleFunc("GET "+describedAt, described)
	office := g.wrap(s.office.Handler(&s.bell), officeActs)
	behind := guard.Wrap(office)
	mux.HandleFunc(officePath, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" { // no page of elsewhere can send it, whatever name it reached us by
			office.ServeHTTP(w, r)
			return
		}
		behind.ServeHTTP(w, r)
	})
	mux.Handle("/", guard.Wrap(g.wrap(site.Mux, acts)))
	s.http = webui.NewServer(ctx, mux, s.cfg.Log)
	return nil
}

// site makes the pages, and says what each of their routes takes.
func (s *Server) site() (console.Site, map[string]access.Act) {
	view := outlook{s.office, s.land, s.inForce, s.fieldsOf}
	at, waits := counter{s.operators}, table{s.office, s.cfg.Domain, view}
	site := console.New(console.Config{
		Fleet: &fleetSource{office: s.office, bell: &s.bell}, Door: at, Account: at, Tokens: tokens{s.office}, Queue: waits, Holes: waits, Devices: fleetDesk{s.office}, Plans: planDesk{s.office, &s.bell}, Findings: findingsDesk{s.office, &s.bell}, Ledger: books{s.office}, Records: s.office, Things: s.office, Statements: accounts{s.office}, Operators: staff{s.office}, Rosters: rosterTable{s.office}, RosterDrafts: s.drafts, Exports: takings{s.office}, Packs: packDesk{s.office}, Outlook: view, Land: view, Photos: photoShelf{view}, Visitor: visitor, QR: enrol.QRPath,
		Log: s.cfg.Log, Clock: func() time.Time { return s.cfg.Now().In(s.cfg.Zone) },
	})
	acts := make(map[string]access.Act, len(site.Acts))
	for pattern, act := range site.Acts {
		acts[pattern] = access.Act(act)
	}
	return site, acts
}

// visitor is who looks at a page.
func visitor(ctx context.Context) console.Visitor {
	who := asker(ctx)
	return console.Visitor{
		Name: who.Name, Title: who.Title, Role: string(who.Role), Scopes: who.Scopes, Own: who.By == "session",
		May: func(act string) bool { return allowed(who, access.Act(act)) },
	}
}

// FirstLink is the address by which the first administrator comes in, once; ""
// when there is an administrator already. Each call makes the earlier one void.
func (s *Server) FirstLink(ctx context.Context) (string, error) {
	_, link, err := s.operators.First(ctx)
	if err != nil || link == "" {
		return "", err
	}
	return s.office.linked("", link).Link, nil
}

// ConsoleURL is where a browser on this machine finds the pages, or a browser
// elsewhere when the hub has a name that it is reached by.
func (s *Server) ConsoleURL() string {
	if len(s.cfg.Hosts) > 0 {
		return s.PublicURL()
	}
	host, port, err := net.SplitHostPort(s.HTTPAddr())
	if err != nil {
		return "http://" + s.HTTPAddr()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if s.cfg.PublicPort != "" {
		port = s.cfg.PublicPort
	}
	return "http://" + net.JoinHostPort(host, port)
}

// HTTPAddr and NatsAddr are where the hub listens, host:port.
func (s *Server) HTTPAddr() string { return s.listen.Addr().String() }

// EnterURL is the address that lets the owner of this machine into the console,
// if the hub was opened so.
func (s *Server) EnterURL() string { return webui.EnterURL("http://"+s.HTTPAddr(), s.secret) }

// PublicURL is the address that devices enrol at: the first of the names given
// for the hub, else one that it is reached by.
func (s *Server) PublicURL() string {
	_, port, err := net.SplitHostPort(s.HTTPAddr())
	if s.cfg.PublicPort != "" {
		port = s.cfg.PublicPort
	}
	hosts := s.cfg.Hosts
	if len(hosts) == 0 {
		hosts = s.broker.Hosts()
	}
	if err != nil || len(hosts) == 0 {
		return "https://" + s.HTTPAddr()
	}
	return "https://" + net.JoinHostPort(hosts[0], port)
}
