package startup

// EndOf lets tests see what a service control hears.
var EndOf = endOf

// MakeFolders lets tests make the folders of a plan.
func MakeFolders(p Plan) error { return p.makeFolders() }
