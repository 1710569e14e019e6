module linstock/init

go 1.19
