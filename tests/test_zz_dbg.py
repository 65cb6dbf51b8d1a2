import os, signal, time, subprocess
import pytest
from tests.project import wait_for
@pytest.mark.parametrize("n", range(6))
def test_dbg(tuning, api, n):
    api.tuning.step_s = 3600
    running = tuning.start("evals", "--record", "--snapshot-update", "-n 4", "-v")
    try:
        wait_for(lambda: running.output.count("PASSED evals/test_baseline") == 6, 60)
        os.kill(running.workers()[0], signal.SIGKILL)
        end = time.monotonic() + 25
        while time.monotonic() < end and "replacing crashed worker" not in running.output: time.sleep(.1)
        took = 25 - end + time.monotonic()
        if "replacing crashed worker" not in running.output:
            print(n, running.output)
            print(subprocess.run(["ps","-o","pid,ppid,stat,args","--ppid",str(running.pid)],capture_output=True,text=True).stdout)
        else: print(n, "ok", took)
    finally:
        running.kill()
