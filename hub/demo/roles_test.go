package demo

import (
	"errors"
	"strings"
	"testing"

	"otor/agent/web"
)

// Only a veterinarian may enter a suspected disease: others are not asked, and
// refused; nobody's answer is taken silently.
func TestRoles(t *testing.T) {
	w, _ := dayUntil(t, "05:30")
	m := w.members["D-101"]
	err := until(t.Context(), "the staff is on the phone", func() (bool, error) {
		b, err := m.Book(t.Context())
		return err == nil && len(b.IDs("staff")) > 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	const answers = `{"household":"H-CD-18","species":"goat","at_risk":142,"sick":9,"dead":3,"signs":["fever_41"],"first_seen":"2025-09-17"`
	put := func(user, more string) (web.PutResult, error) {
		return m.Begin(t.Context(), web.PutRequest{Form: "animal_disease_report", Entity: "INC-" + user, User: user, Fields: []byte(answers + more + "}")})()
	}
	for _, user := range []string{"U01", "U07", "", "nobody"} { // U07 is a technician
		_, err := put(user, `,"suspect":"PPR"`)
		if no, ok := errors.AsType[*web.Refusal](err); !ok || no.Code != "role_missing" || no.Which != "suspect" {
			t.Errorf("a suspicion by %q: %v", user, err)
		}
	}
	if _, err := put("U06", `,"suspect":"PPR"`); err != nil {
		t.Errorf("the vet's suspicion: %v", err)
	}
	if res, err := put("U01", ""); err != nil || len(res.Warnings) > 0 {
		t.Errorf("a report without a suspicion: %+v, %v", res, err)
	}
	for _, user := range []string{"U01", "U06"} { // the last one goes on below
		asked := user == "U06"
		if err := m.SetPreferences(t.Context(), web.Preferences{User: user}); err != nil {
			t.Fatal(err)
		}
		st, err := m.Start(t.Context(), web.StartQuery{Form: "animal_disease_report", Entity: "INC-9", Lang: "en"})
		if err != nil || strings.Contains(st.XForm, "suspect") != asked {
			t.Errorf("%s is asked for a suspicion: want %v (%v)", user, asked, err)
		}
	}
	// A call for help counts once, however often it is sent, and is the user's.
	call := web.Call{ID: "0b0f3a52-call", What: "injury", Place: &web.Place{Lon: 101.7, Lat: 39.2}, Fix: web.Fix{Source: "gnss", At: w.clock.Now().UnixMilli() - 90_000}}
	first, err := m.Raise(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Raise(t.Context(), call)
	if err != nil || again.Dot != first.Dot {
		t.Errorf("sent again: %v, %v", again.Dot, err)
	}
	got, err := m.Raised(t.Context(), first.Dot)
	if err != nil || got.Row.User != "U06" || got.What != "injury" || got.Place == nil || got.Place.Lon != 101.7 {
		t.Errorf("raised: %+v, %v", got, err)
	}
	if age := got.Row.DeviceTime.Sub(got.Place.At).Seconds(); age < 89 || age > 95 {
		t.Errorf("the place is %v s old", age)
	}
	// Without a place of the browser's, the last known one goes along.
	call.ID, call.Place = "1c1f4b63-call", nil
	second, err := m.Raise(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Raised(t.Context(), second.Dot); err != nil || got.Place == nil || got.Place.Lat != 39.2 {
		t.Errorf("the last known place: %+v, %v", got.Place, err)
	}
	call.ID, call.What = "2d2f5c74-call", ""
	if _, err := m.Raise(t.Context(), call); err == nil {
		t.Error("a call that says nothing was saved")
	}
}
