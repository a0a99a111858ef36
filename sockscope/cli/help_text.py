"""The page that --help prints. It fits 40 lines of 80 columns; a test holds it against the parser."""

HELP = """\
sockscope [OPTION | QUERY]...              live; --once if stdout is no terminal
sockscope lab [SCENARIO] [--hold TIME]     stage one I/O model or one fault
sockscope doctor                           what we can see here, how to see more

Whose move is it? Every socket, its queues, and who is waiting for whom.

WHAT  (all options narrow; a comma or a repeated option widens)
  QUERY                 nginx  :80  80 (port or pid)  10.0.0.0/8  move:app
                        receive:64k..  not user:root    (quote < > ( ) !)
      --port PORT       80  80,443  8000-8010  http     either end
  -p, --pid PID         1234  1234,1240                 every fd and thread
  -i, --inet [ADDR]     as in lsof: -i  -i :80  -iTCP@127.0.0.1:80
  -c, --process NAME    part of a process name          --user NAME or uid
  -t -u -x -w           tcp, udp, unix, raw             --protocol NAME
  -l, --listening       -4  -6                          --state NAME
                        -n -P -a: accepted, already so. -tulpn works as in ss.
HOW
      --interval TIME   1s (default)  500ms  2
      --sort COLUMN     -COLUMN reverses        --columns A,B,C  (or: help)
      --names           look up host and service names
      --readonly        no signals, no closing  --no-probe  never borrow an fd
      --no-mouse  --ascii  --theme NAME         --color auto|always|never
      --source          netlink|proc|psutil
OUTPUT  (print and exit)
      --once            table                   -H, --no-header
  -J, --json  --ndjson [--changes]  --csv       --deep  adds tcp, marks, waiters
      --pids            only pids, for kill     (lsof -t)
      --why             a sentence for each socket somebody must act on
      --findings        what is wrong; both watch for --for TIME (5s) first
  -h, --help  -V, --version  --man              --completion bash|zsh|fish

EXAMPLES
  sockscope                                 trouble first, then listeners
  sockscope --port 80                       who serves it, uses it, waits for it
  sudo "$(command -v sockscope)" -p 1234    one process, other users' too
  kill $(sockscope --pids -l --port 3000)   the listener only, not its clients
EXIT  0 found  1 nothing matches  2 usage  3 cannot read  4 severe (--findings)
"""
