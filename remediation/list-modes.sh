# The modes that RDS offers; go on only if each line has sync:
$list_modes
