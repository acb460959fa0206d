namespace Xfrmd.Kernel;

/// <summary>What an SA had counted at one moment.</summary>
/// <param name="Lifetime">Bytes, packets and times.</param>
/// <param name="Stats">The errors that it met.</param>
public readonly record struct SaCounts(XfrmLifetimeCur Lifetime, XfrmStats Stats);
