package console

import (
	"context"
	"net/http"
	"strings"
	"time"

	"otor/internal/webui"
)

// Devices lets devices in and out.
type Devices interface {
	List(ctx context.Context) ([]DeviceLine, error)
	// Invite opens a one-time code. Refusals: bad_device, bad_scope, device_exists,
	// device_revoked.
	Invite(ctx context.Context, device string, scopes []string, again bool) (Invitation, error)
	// Revoke ends a device's credentials for good.
	Revoke(ctx context.Context, device string) error
}

// DeviceLine is one device. State is invited, enrolled or revoked.
type DeviceLine struct {
	Device, State, InDoubt string
	Scopes                 []string
	LastSeen               time.Time // zero: never
}

// Invitation is what a device enrols with; QR is what a picture of it holds.
type Invitation struct {
	Device, Code, Address, QR string
	Ends                      time.Time
}

var devicesPage = webui.NewTemplate(files, "devices.html", "nav.html")

type devicesView struct {
	Frame
	Devices []deviceView
	Invited *Invitation
	Ends    string
	QRSize  int
	QRPath  string
	Trouble string
	Typed   typedDevice // into the form for a new one, when it was refused
}

type typedDevice struct {
	Device, Scopes string
	Again          bool
}

type deviceView struct {
	DeviceLine
	StateWords, Seen string
}

func (s *site) devices(w http.ResponseWriter, r *http.Request) {
	s.showDevices(w, r, http.StatusOK, devicesView{})
}

func (s *site) showDevices(w http.ResponseWriter, r *http.Request, status int, v devicesView) {
	v.Frame = s.frame(r, "/devices")
	v.Still = true
	v.title(v.Words.T("menu.devices"))
	list, err := s.Devices.List(r.Context())
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, d := range list {
		line := deviceView{DeviceLine: d, StateWords: v.Words.T("device." + d.State), Seen: v.Words.T("fleet.never")}
		if !d.LastSeen.IsZero() {
			line.Seen = v.Words.Ago(v.Now, d.LastSeen)
		}
		if d.InDoubt != "" {
			line.InDoubt = v.Words.T("device.in_doubt", "device", d.Device)
		}
		v.Devices = append(v.Devices, line)
	}
	if v.Invited != nil {
		v.Ends = v.Words.Clock(v.Now, v.Invited.Ends)
		if v.QRSize, v.QRPath, err = s.QR(v.Invited.QR); err != nil {
			s.Log.Error("no QR picture drawn", "err", err)
		}
	}
	webui.Render(w, devicesPage, status, v, s.Log)
}

func (s *site) invite(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	in := typedDevice{strings.TrimSpace(r.PostFormValue("device")), r.PostFormValue("scopes"), r.PostFormValue("again") == "yes"}
	inv, err := s.Devices.Invite(r.Context(), in.Device, strings.Fields(in.Scopes), in.Again)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showDevices(w, r, status, devicesView{Trouble: trouble, Typed: in})
		return
	}
	s.showDevices(w, r, http.StatusOK, devicesView{Invited: &inv})
}

func (s *site) revoke(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	name := r.PostFormValue("device")
	err := error(&webui.Refusal{Code: "not_the_same_name", What: "the name was not typed again"})
	if strings.TrimSpace(r.PostFormValue("again")) == name {
		err = s.Devices.Revoke(r.Context(), name)
	}
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showDevices(w, r, status, devicesView{Trouble: trouble})
		return
	}
	http.Redirect(w, r, "/devices", http.StatusSeeOther)
}
