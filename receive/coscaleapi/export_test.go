package coscaleapi

// MaxConnections is for the tests.
const MaxConnections = maxConnections
