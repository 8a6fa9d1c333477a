"""The loop: moves the bytes of many connections, and calls endpoints where they may block.

    streams.py       the byte pipe of one connection
    poller.py        which descriptors are ready
    system.py        the few system calls
    member.py        what the loop knows of a channel
    timers.py        who is due when
    loop.py          Loop: turns, runners, and the way in for other threads
    loops.py         Loops: one for each hub
    line.py          the stream of one connection on the loop, and what goes out on it
    channel.py       Channel: one connection on the loop, from its bytes to its end
    callbacks.py     a channel that calls an endpoint's methods (servlet style)
    conversation.py  a channel that a function talks over (blocking style)

One thread owns a loop and all that belongs to it: the thread that its gevent hub runs in. Nothing here is locked;
other threads hand their wishes over with Loop.post and Loop.call.
"""
