module linstock/agent

go 1.19
