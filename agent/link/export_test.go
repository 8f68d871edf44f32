package link

// DialerAsking is NewDialer where there is no /etc/resolv.conf.
var DialerAsking = dialerAsking
