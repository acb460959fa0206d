namespace Xfrmd.Kernel;

/// <summary>What <see cref="SecurityAssociation.CheckExpiry"/> found.</summary>
public enum ExpiryVerdict : byte
{
    Alive,

    /// <summary>A soft limit was just reached: the packet goes on, the owner says so once (<see cref="XfrmNamespace.PostExpire"/>).</summary>
    Soft,

    /// <summary>A hard limit was reached: the packet is dropped and the SA goes.</summary>
    Hard,
}
