package device

import (
	"context"
	"time"

	"otor/agent/web"
)

// Due implements web.Agenda.
func (d *Device) Due(ctx context.Context, from string) ([]web.DueLine, error) {
	p := d.inForce()
	if p == nil {
		return nil, errNoRules
	}
	b, err := d.Book(ctx)
	if err != nil {
		return nil, err
	}
	lang := d.cfg.Lang
	if lang == "" {
		lang = "en"
	}
	out := web.DueList(p, b, d.today(), from, lang)
	if out == nil {
		out = []web.DueLine{}
	}
	return out, nil
}

// Done implements web.Agenda.
func (d *Device) Done(ctx context.Context, form, entity string, answers map[string]string) (web.DoneAnswer, error) {
	p := d.inForce()
	if p == nil {
		return web.DoneAnswer{}, errNoRules
	}
	if _, ok := p.Forms.Latest(form); !ok {
		return web.DoneAnswer{}, &web.Refusal{Code: "form_unknown", What: "there is no such form", Which: form, Do: "check the spelling"}
	}
	b, err := d.Book(ctx)
	if err != nil {
		return web.DoneAnswer{}, err
	}
	return web.DoneCheck(p, b, d.today(), form, entity, answers), nil
}

func (d *Device) today() time.Time { return d.cfg.Now().In(d.cfg.Zone) }

var errNoRules = &web.Refusal{Code: "no_pack", What: "this device has no form pack whose rules say what is due", Do: "start it with agent run"}
