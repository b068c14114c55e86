package script

var coscaleDialect = Dialect{Name: "coscale"}
