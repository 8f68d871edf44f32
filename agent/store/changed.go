package store

import (
	"otor/internal/entry"
	"otor/internal/feed"
)

// maxChanged bounds the log of what is shown otherwise.
const maxChanged = 8192

// changeLog says which entities are shown otherwise than before, so that who keeps
// something of all of them need not read all again. It lives as long as the store is open.
type changeLog struct {
	floor uint64      // what came up to here is forgotten: anything may have changed
	refs  []entry.Ref // number floor+1 and so on; the zero ref: any that own records are about
}

func (l *changeLog) now() uint64 { return l.floor + uint64(len(l.refs)) }

func (l *changeLog) add(ref entry.Ref) {
	if len(l.refs) == maxChanged {
		l.floor, l.refs = l.floor+maxChanged/2, append(l.refs[:0], l.refs[maxChanged/2:]...)
	}
	l.refs = append(l.refs, ref)
}

// everything forgets all: whole scopes are shown otherwise.
func (l *changeLog) everything() { l.floor, l.refs = l.now()+1, l.refs[:0] }

// noteChanged adds what a plan that was committed makes the device show otherwise.
// s.mu is held.
func (s *Store) noteChanged(p *plan) {
	if len(p.switched) > 0 {
		s.changes.everything()
		return
	}
	for _, n := range p.changed {
		switch ref, ok := feed.RefOf(n.Key); {
		case n.Slot == feed.Verdict:
			s.changes.add(entry.Ref{})
		case n.Slot == feed.Entity && ok:
			s.changes.add(ref)
		}
	}
	for _, ref := range p.written {
		s.changes.add(ref)
	}
}

// Changed lists the entities that are shown otherwise since a number that Changed
// gave; the zero ref stands for all that own records are about. all says that
// anything may be otherwise: too much happened since, or since is 0.
func (s *Store) Changed(since uint64) (refs []entry.Ref, now uint64, all bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now = s.changes.now()
	if since == 0 || since < s.changes.floor || since > now {
		return nil, now, true
	}
	return append(refs, s.changes.refs[since-s.changes.floor:]...), now, false
}
