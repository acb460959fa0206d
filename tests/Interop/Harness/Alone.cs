namespace Xfrmd.Interop.Harness;

/// <summary>Scenarios that want the processors for themselves, because they are timed or use them fully.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
