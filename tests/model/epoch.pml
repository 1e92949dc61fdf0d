// SPDX-License-Identifier: Apache-2.0
// The epoch protocol as a model for spin: proxies with leases, sessions that write, a leader that changes the epoch.
// Each atomic block is one statement or transaction of the database, or one step of a process that nothing can split; between them any
// process may stop for as long as it likes, which is what SIGSTOP, a held network and a clock that jumps come to. Names are the
// code's: RenewLease, RegisterConnections (backfill/leases.cc, fence.cc), Published, StillMayGoOn (proxy/), FenceLost, Drained,
// ChangeEpoch (backfill/).
//
// Checked: whenever a fenced statement (a write, and from `verify` on a read) is done in the database, its plan is of the present epoch or the one
// before it; and a leader whose connection was ended does no step. A write also looks at its proxy's clock, a read does not: the model
// leaves that out, so what holds here holds for both.
//   spin -a epoch.pml && cc -O2 -o pan pan.c && ./pan -E -m1000000
// One proxy has every trouble, the other is well. By default that one leads, and the first one's session writes; -DLEADERS: both may
// lead, and nobody writes.
// -DNO_FENCE leaves out what FenceLost does: spin must find the stale write then. -DNO_TERM: a proxy that never hears that
// its lease had run out; -DNO_REGISTRATION: statements that do not wait for their connection to be registered, as reads once did; -DLEADERS -DNO_KILL_LEADER: the lock is taken over without an end to the old leader's connections.

#define PROXIES 2
#ifndef LAST
#define LAST 3  /* epochs that are walked through: enough for a plan to be two behind */
#endif

byte epoch = 1;                 /* state.epoch */
bool lease[PROXIES];            /* proxies.expires > now, and not fenced */
byte acked[PROXIES], oldest[PROXIES];
bool unheard[PROXIES];          /* proxies.term has gone up, and its keeper has not had an answer since */
bool registered[PROXIES];       /* a row of `connections` for the session's connection */
bool connected[PROXIES];        /* the server has that connection */
byte published[PROXIES];        /* the snapshot that new statements get */
byte fence[PROXIES];            /* LeaseKeeper::fence */
byte pinned[PROXIES];           /* of the session's statement or transaction; 0: none */

byte leader = 0;                /* whose connection has GET_LOCK; 2: nobody's */
bool main_alive[2];             /* the leaders' own connections */

#define Oldest(p) (pinned[p] != 0 -> pinned[p] : published[p])

/* The keeper's thread, and the control thread that brings snapshots. */
proctype Keeper(byte p) {
  do
  :: epoch == LAST -> break
  :: atomic { p == 1 && (published[1] < epoch || oldest[1] < epoch) -> published[1] = epoch; lease[1] = true; acked[1] = epoch; oldest[1] = epoch }  /* the one that is well */
  :: atomic { p == 0 && published[0] < epoch -> published[0] = epoch }     /* Follow, Published */
  :: atomic { p == 0 && lease[p] -> lease[p] = false }                     /* stopped, cut off, or the clock jumped */
  :: p == 0 ->
     byte told_acked, told_oldest, epoch_then;
     bool broken;
     atomic { told_acked = published[p]; told_oldest = Oldest(p) }
     atomic {                                                             /* RenewLease */
       broken = !lease[p];
       unheard[p] = unheard[p] || broken;
       lease[p] = true; acked[p] = told_acked; oldest[p] = told_oldest
     }
     epoch_then = epoch;                                                  /* read behind it: a later one only makes the fence stricter */
     if
     :: skip -> atomic {
#ifndef NO_TERM
          broken = unheard[p];  /* the number tells, whichever answer it comes in */
#endif
          if
          :: broken -> fence[p] = epoch_then
          :: else -> skip
          fi;
          unheard[p] = false
        }
     :: skip  /* the answer is lost */
     fi;
     atomic { told_acked = 0; told_oldest = 0; epoch_then = 0; broken = false }
  od
}

/* One session: its connection, and its statements that write to a migrating table, or read one whose sides part (IsFenced). */
proctype Session(byte p) {
  bool fits;
  do
  :: epoch == LAST -> break
  :: else ->
     if
     :: !connected[p] -> atomic { connected[p] = true; registered[p] = false }  /* a new connection */
     :: else
     fi;
     atomic { published[p] != 0 -> pinned[p] = published[p] }              /* Begin: Pin */
     if
     :: !registered[p] ->
        atomic {                                                          /* RegisterConnections, by the keeper behind an answer */
          if
          :: lease[p] && connected[p] && !unheard[p] -> registered[p] = true
          :: else -> skip
          fi
        }
     :: else
     fi;
     /* StillMayGoOn: it looks at its fence, and may then be stopped. */
#ifndef NO_REGISTRATION
     atomic { fits = registered[p] && fence[p] != 0 && pinned[p] >= fence[p] }
#else
     atomic { fits = fence[p] != 0 && pinned[p] >= fence[p] }
#endif
     if
     :: fits ->
        atomic {                                                          /* the statement, in the server */
          if
          :: connected[p] -> assert(pinned[p] + 1 >= epoch)
          :: else -> skip                                                 /* lost connection */
          fi
        }
     :: else                                                              /* refused */
     fi;
     fits = false;
     if
     :: skip -> pinned[p] = 0                                             /* the transaction ends */
     :: connected[p] -> skip                                              /* … or goes on */
     fi
  od
}

#define Waited(p) (!lease[p] || (acked[p] == epoch && oldest[p] >= epoch))
#ifndef NO_FENCE
#define Gone(p) (lease[p] || !registered[p])
#else
#define Gone(p) true
#endif

/* The migrator of each of two proxies: one of them leads. */
proctype Migrator(byte me) {
  do
  :: epoch == LAST -> break
  :: leader == me && !main_alive[me] -> atomic { leader == me && !main_alive[me] -> leader = 2 }   /* the server lets go of the lock */
  :: atomic { leader == 2 -> leader = me; main_alive[me] = true }                                 /* GET_LOCK; TakeLead */
  :: atomic { me == 1 && leader == 0 && !lease[0] && main_alive[0] ->                         /* DislodgeLeader */
#ifndef NO_KILL_LEADER
       main_alive[0] = false
#else
       leader = me; main_alive[me] = true
#endif
     }
  :: leader == me && main_alive[me] ->
     byte p;
     p = 0;
#ifndef NO_FENCE
     do                                                                   /* FenceLost: KILL, and wait for its end */
     :: p < PROXIES ->
        bool lost;
        atomic { lost = main_alive[me] && !lease[p] && registered[p] }
        if
        :: lost -> atomic { main_alive[me] -> connected[p] = false }
           atomic { main_alive[me] && !connected[p] -> registered[p] = false }
        :: else
        fi;
        atomic { lost = false; p++ }
     :: else -> break
     od;
#endif
     atomic {                                                             /* ChangeEpoch: Drained, and the change */
       if
       :: main_alive[me] && Waited(0) && Waited(1) && Gone(0) && Gone(1) && epoch < LAST ->
          assert(leader == me);
          epoch++
       :: else -> skip
       fi;
       p = 0
     }
  od
}

init {
  atomic {
    run Keeper(0); run Keeper(1);  /* the other proxy is well: who writes there is as this one before its lease runs out */
#ifdef LEADERS
    main_alive[0] = true;
    run Migrator(0); run Migrator(1)
#else
    leader = 1; main_alive[1] = true;
    run Session(0); run Migrator(1)
#endif
  }
}
