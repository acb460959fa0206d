namespace Xfrmd.Kernel;

/// <summary>Which of the kernel's three replay records an SA has.</summary>
public enum ReplayMode : byte
{
    /// <summary>No XFRMA_REPLAY_ESN_VAL: 32-bit numbers, a window of up to 32.</summary>
    Legacy,

    /// <summary>XFRMA_REPLAY_ESN_VAL without the ESN flag: 32-bit numbers, a window of any size.</summary>
    Bitmap,

    /// <summary>Extended sequence numbers.</summary>
    Esn,
}
