"""A whole house in one terminal, without hardware: real processes, real commands, real files.

`stage` starts and ends the processes; `house` sets up a building, a community and a broker with the
commands a technician types; `story` is what happens in it. The tests of the whole daemon stand on the
same stage.
"""
