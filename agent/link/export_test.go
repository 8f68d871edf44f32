package link

// DialerAsking is NewDialer where there is no /etc/resolv.conf.
var DialerAsking = dialerAsking

// NewBudget is a link's budget without the link.
var NewBudget = newBudget

// Begin starts the count of a contact.
func (b *Budget) Begin() { b.begin() }
