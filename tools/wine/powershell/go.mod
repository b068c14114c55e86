module scriptbridge/tools/wine/powershell

go 1.26.0
