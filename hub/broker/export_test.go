package broker

// AlertsAtHand is how many alerts workers have fetched and not settled.
func (b *Broker) AlertsAtHand() int {
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	return b.gate.alerts
}
