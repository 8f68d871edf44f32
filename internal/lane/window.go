package lane

// Window bounds what is in flight: batches sent and not yet settled, by count
// and by bytes. One batch is always allowed, however large. Its owner is the
// loop that sends.
type Window struct {
	maxCount int
	maxBytes int
	sizes    map[uint64]int
	bytes    int
}

// NewWindow allows at most count batches and about bytes bytes in flight.
func NewWindow(count, bytes int) *Window {
	return &Window{maxCount: count, maxBytes: bytes, sizes: make(map[uint64]int)}
}

// Open reports whether a batch of size bytes may be sent now.
func (w *Window) Open(size int) bool {
	if len(w.sizes) == 0 {
		return true
	}
	return len(w.sizes) < w.maxCount && w.bytes+size <= w.maxBytes
}

// Add notes a batch as sent under a name. A name in flight already is
// counted once, with its new size.
func (w *Window) Add(name uint64, size int) {
	w.bytes += size - w.sizes[name]
	w.sizes[name] = size
}

// Done notes a batch as settled or given up; an unknown name changes nothing.
func (w *Window) Done(name uint64) {
	w.bytes -= w.sizes[name]
	delete(w.sizes, name)
}

// Len is the number of batches in flight.
func (w *Window) Len() int { return len(w.sizes) }

// Bytes is the number of bytes in flight.
func (w *Window) Bytes() int { return w.bytes }
