#!/bin/sh
echo '# HELP shop_orders_total Orders taken.'
echo '# TYPE shop_orders_total counter'
for n in 1 2 3 4; do echo "shop_orders_total{shop=\"$n\",country=\"a rather long name of a country\",payment=\"invoice\"} $n"; done
