using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>sched_setscheduler(2) for the calling thread.</summary>
public static class Scheduling
{
    private const int SetSchedulerNumber = 144;   // x86-64
    private const int SetSchedulerNumberGeneric = 119;   // asm-generic: arm64
    private const int RoundRobin = 2, ResetOnFork = 0x40000000;

    /// <summary>
    /// The calling thread runs before all ordinary ones from now on (SCHED_RR, the least of its priorities): for threads that are short of
    /// work and whose answer somebody counts milliseconds for. False where that is not allowed (no CAP_SYS_NICE).
    /// </summary>
    public static unsafe bool TryRunFirst()
    {
        int priority = 1;   // struct sched_param
        bool x64 = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64;
        return (int)(long)syscall(x64 ? SetSchedulerNumber : SetSchedulerNumberGeneric, 0, RoundRobin | ResetOnFork, &priority) == 0;
    }
}
