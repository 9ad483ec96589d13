"""Small data sets without language, one file per problem."""
